"""Projects, tasks, jobs, their labels, issues and guides."""
