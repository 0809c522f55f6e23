"""SAM-family weights that a team has, as an interactor: through ultralytics, with torch.

    python -m trainer.backends.sam --weights mobile_sam.pt --licence Apache-2.0 --out BUNDLE

makes a bundle of them, which serves in the place of extreme_points' own. It learns nothing here,
so it is an engine and no backend; it lies here since only backends hold torch.
"""
