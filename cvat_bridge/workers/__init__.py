"""The process `cvat-bridge worker`: takes work of the queues, on any machine."""
