"""Detection in a Django project: settings, the store in its database, the middleware, commands, the admin's page."""
