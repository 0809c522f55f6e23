"""What every torch backend that writes its own loop shares: schedule, averaging, state, memory."""
