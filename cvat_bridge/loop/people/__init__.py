"""How ranked jobs reach people: whose they are, what to look at, how long it takes."""
