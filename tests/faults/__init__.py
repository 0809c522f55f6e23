"""A bounded campaign of faults: what is tried, what holds. `make faults`."""
