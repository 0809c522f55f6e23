"""The demo: sandbox, function host and bridge as real processes, and a person who is simulated."""
