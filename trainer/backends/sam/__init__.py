"""A team's own SAM-family weights as an interactor: through ultralytics, with torch.

    python -m trainer.backends.sam --weights mobile_sam.pt --licence Apache-2.0 --out BUNDLE

makes a bundle of them, which serves instead of extreme_points' own. It is not trained here, so it
is an engine and not a backend; it is in this package because only backends import torch.
"""
