"""Images and videos: uploads, task creation, chunks, frame lists, validation sets."""
