"""What a team's model costs and gives: parts of `make bench ONLY=models`."""
