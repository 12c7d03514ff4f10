"""Notices to other systems: webhooks after the Standard Webhooks specification (standardwebhooks.com, 1.0.0).

`schedule` decides what is tried when, `targets` where it may go, `signing` how it is signed; `post` speaks HTTP, a
`courier` delivers for one webhook, `hooks` sees that each has one. What is sent comes from the feed.
"""
