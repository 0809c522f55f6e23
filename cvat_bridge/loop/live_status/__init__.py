"""What `status` tells of this moment: whom the loop waits for, the pool, and a fit at work."""
