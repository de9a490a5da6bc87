"""Delivering a run: claim a shard, read and encode, send, settle, checkpoint.

worker    one slice of one shard, the loop that ties the others together
lease     who may work on a shard, for how long, and whether it may still send
batches   reads the log and cuts it into batches of encoded records
ahead     makes the next one in a thread, while one is sent
exchange  sends one batch and follows the partner's verdicts until each record has its outcome
control   finds a record that the partner took before, to tell poison from a wall
ledger    moves counts, rejected and held rows and the cursor in one transaction
drain     sends held records once their wait is over
resend    sends rejected records again that a person asked for
lines     what the lines of the log say
"""
