"""Parts of tests.bench.selection: the learner of the replays, their figures, and the speed runs."""
