"""PIRenderer as published."""
