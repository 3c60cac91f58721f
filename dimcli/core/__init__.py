"""What every room stands on: errors, files, motion, configurations, devices, progress."""
