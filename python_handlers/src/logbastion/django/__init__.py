"""The parts that need Django. They import the library; the library never imports them."""
