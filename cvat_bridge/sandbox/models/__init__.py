"""The Models page: functions, calls of them, and runs over whole tasks."""
