"""Charts as SVG, each beside a table with the same figures."""
