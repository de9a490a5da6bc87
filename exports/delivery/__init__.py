"""Delivering a run: claim a shard, read and encode, send, settle, checkpoint.

worker    one slice of one shard, the loop that ties the others together
lease     who may work on a shard, for how long, and whether it may still send
batches   reads the log and cuts it into batches of encoded records
exchange  sends one batch and follows the partner's verdicts until each record has its outcome
ledger    moves counts, rejected and held rows and the cursor in one transaction
drain     sends held records once their wait is over
"""
