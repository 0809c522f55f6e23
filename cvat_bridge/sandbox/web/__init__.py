"""A request on its way to an answer: fields, filters, pages, errors."""
