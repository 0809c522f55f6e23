"""Nuclio's entry point for a bundle of engine yolo; the work is in serverless.handler."""

from pathlib import Path

from serverless.handler import make_handler

init_context, handler = make_handler(Path(__file__).with_name("function.yaml"))
