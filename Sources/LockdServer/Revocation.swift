public import LockdModel
import Logging

/// A lease that somebody took from its holder: what an operator will want to know later.
public struct Revocation: Hashable, Sendable {
    /// The names that the lease was on.
    public let names: LockNames
    /// The token of the lease.
    public let token: FencingToken
    /// Who had it.
    public let holder: Peer
    /// Who took it; nothing if that session has ended meanwhile.
    public let revoker: Peer?
    /// The reason that was given.
    public let reason: Text?
}

extension Revocation {
    /// For the log: names and texts are strangers', and in their canonical spelling nothing but visible ASCII.
    var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "name": "\(names)", "token": "\(token)", "holder.pid": "\(holder.process)", "holder.uid": "\(holder.user)",
        ]
        metadata["holder.command"] = holder.command.map { "\($0)" }
        metadata["by.pid"] = revoker.map { "\($0.process)" }
        metadata["by.uid"] = revoker.map { "\($0.user)" }
        metadata["by.command"] = revoker?.command.map { "\($0)" }
        metadata["why"] = reason.map { "\($0)" }
        return metadata
    }
}
