-- Rights: CONTROL on the object. Lets a user do things with one table or view.
GRANT $permissions ON OBJECT::$object TO $user
