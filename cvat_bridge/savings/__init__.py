"""What pre-annotation saves people, measured in the project itself."""
