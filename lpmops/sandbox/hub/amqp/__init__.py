"""AMQP 1.0 as Event Hubs speaks it, in pure Python on asyncio.

From the bytes up: `codec` (the type system), `performatives` (frames), `message` (sections of a message),
`conditions` (what a refusal says), `tokens` (who may do what), `selector` (where a receiver starts), `connection` >
`session` > `links` (the protocol's own nesting), `nodes` ($cbs and $management) and `namespace` (the listening
server). Each imports only what stands before it. Import the module you need; nothing is re-exported here.
"""
