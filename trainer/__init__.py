"""Datasets, fitting, bundles, engines that run them, evaluation, the gate and the registry."""
