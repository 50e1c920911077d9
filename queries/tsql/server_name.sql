-- Rights: CONNECT. The name of the server that answers, to hold it against the one that is pinned.
SELECT @@SERVERNAME AS server_name
