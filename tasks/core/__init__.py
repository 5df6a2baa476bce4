"""What every task needs and that knows no task: devices, scheduling, images, weights, downloads."""
