"""CVAT over its REST API: what client.CvatClient is made of. Nobody else imports this."""
