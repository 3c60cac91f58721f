"""What the commands do, from files to files, one file a job."""
