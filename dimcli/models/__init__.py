"""The methods, one file each, and the runs that hold them trained."""
