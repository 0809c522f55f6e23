"""A model over whole tasks: frames fetched ahead, inferred in batches, written as they are done."""
