"""A ladder of one's own: the classroom's architecture at many sizes, and what a law says of the next one."""
