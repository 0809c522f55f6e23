"""The training loop that the torch backends share: schedule, weight averaging, state, memory."""
