"""Which frames deserve a person: measure x aggregation x selector.

`choose` picks the phase and the batch; `STRATEGIES` is the table; nothing here knows CVAT, a
model library, a file or a clock.
"""
