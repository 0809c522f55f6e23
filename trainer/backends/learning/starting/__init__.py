"""What a fit starts from: published weights, or an earlier model of the project."""
