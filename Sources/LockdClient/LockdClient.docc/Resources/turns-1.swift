import LockdClient

let client = LockdClient()
