"""Pretrained encoders: ImageNet weights from pinned packages."""
