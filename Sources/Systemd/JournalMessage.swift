/// The messages of lockd that the journal knows by a number, so that its catalog can explain them: `journalctl --catalog`.
///
/// The catalog is `systemd/lockd.catalog`. A message keeps its number for ever; one that means something else gets another.
enum JournalMessage {
    /// The MESSAGE_ID of each text, as 32 hexadecimal digits.
    static let identifiers = [
        "started": "e90f32003a41483c89cb6c79f1bdd86b",
        "stopped": "51ab298326aa45918c4cd78f8380a55d",
        "idle, ending": "92219c05d51b4c0895f725d44680d714",
        "revoked": "d914436822f740d4b77fa0ebdad04179",
        "configuration read again": "790eb5cdf42e4f588b191e4b65efa6f9",
        "cannot read the configuration again, keeping the former one": "b193910620354e5bb5fa5679c2f2b0de",
        "needs a restart": "f632fb68d72d4d31969a0f366e90b590",
        "too many sessions, refusing new ones": "56b40744854e469cab2bd5849d1afdf9",
        "too many sessions of a user, refusing new ones": "67f173d21a944c8ab5fd2761450ad515",
        "as much is kept for a user as may be, refusing its requests": "c51a3de95be547fd9ad497318f8d7ecd",
        "too many descriptors that wait to be closed, ending a session that sends more":
            "f74ac80020714316923cb054e449ec5b",
        "cannot accept connections": "2a57ee7564b545ddaca5267cb12aa5f5",
        "cannot watch a connection": "bf0dde13085249b1bfbb42540267044f",
        "cannot reserve fencing tokens": "33dfedd825b948bbbc311d109632d8b8",
        "cannot tell systemd": "eab879f505f14570b6dfe1772bef796d",
        "cannot use what is in the fd store": "82fe121471cc40e8b3619473d81235ba",
        "cannot tell when a lease will end, so it stays until it is released or revoked":
            "c56aa5cbb97c48abb6b8ff62d94661d4",
        "cannot wait for systemd": "d2ab19fbf3fb47c1a6d12bbac4d53cfe",
        "cannot wait for the store of descriptors": "2eff4e883d4e4aefa637cc3382dc96b5",
        "cannot watch a process": "0a9fb345784946caad00a29f659fd4ed",
        "cannot watch what a lease is bound to": "157d8c73d89049b693c719ec7dc819de",
        "not all connections can be kept over a restart; those have to be made again":
            "dbb4b219e171459c98ad1f837d01a447",
        "restored": "b784f19920bc4f15afeba9d6a40ffcdc",
        "systemd does not keep descriptors": "c20621a47d9c4df5a901d2c161428a40",
        "the log contradicts itself, dropping what does not fit": "7aa9aa4be0294fd194d7fbe878987737",
        "the log is damaged, going on with the part of it that is not": "c933d5f1083346208e1812ef4de0a295",
        "the log is gone, so all leases are lost": "53bde735160643e5973b4709b5f79557",
    ]
}
