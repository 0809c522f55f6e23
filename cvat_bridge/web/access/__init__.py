"""Who is signed in, what CVAT lets them see and change, and which requests are believed."""
