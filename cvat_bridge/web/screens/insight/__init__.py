"""What the screens about people's work show."""
