"""The terminal app: it draws snapshots and asks for them, and holds no rule and knows no service.

`app` is the application, `feed` what it needs from outside, `screens` one screen a file, `widgets` one widget a file,
styles in `.tcss` alone. Everything drawn is a `paint.Line`; text from outside goes through `plain_text.plain_line` on
its way into one, and never meets markup.
"""
