"""`make fire`: make the cause of each alert on the lab, and follow the alert to its receiver and back."""
