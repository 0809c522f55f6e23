"""From which score an object is put before people: where it saves more time than it costs."""
