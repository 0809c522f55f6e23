"""Choose which frames to label: measure x aggregation x selector.

`choose` selects the phase and the batch; `STRATEGIES` is the table of strategies; nothing here
depends on CVAT, a model library, files or the clock.
"""
