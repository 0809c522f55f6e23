"""The mask_rcnn engine as a Nuclio function."""
