"""What incident detection needs of Django: the database asked, visitors turned away during maintenance."""
