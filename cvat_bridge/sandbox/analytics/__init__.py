"""What people did, as the editor reports it: CVAT's analytics."""
