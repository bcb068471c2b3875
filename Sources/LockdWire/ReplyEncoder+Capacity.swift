import LockdModel

extension ReplyEncoder {
    /// Room for the line of `reply`: for its names and texts as many bytes as they have, for all else as much as any line needs.
    ///
    /// So a line fits whatever somebody put into a name, a note or the name of a unit.
    static func capacity(for reply: Reply) -> Int {
        switch reply {
        case .granted(let names, _, _, .unremarkable), .released(let names, _):
            LineWriter.capacity(for: names.spellingByteCount)
        case .granted, .held, .queued, .busy, .timedOut, .cancelled, .deadlock, .renewed, .revoked, .denied, .lost,
            .lostEverything, .restored, .watched,
            .notHeld, .watching, .lease, .waiter, .hold, .edge, .error, .welcome, .statistic, .histogram:
            LineWriter.longestCapacity(for: textByteCount(of: reply))
        case .waitCancelled, .notWaiting, .end, .unwatched, .pong, .bye: LineWriter.capacity(for: 0)
        }
    }

    /// How many bytes the names and texts of `reply` have.
    private static func textByteCount(of reply: Reply) -> Int {
        switch reply {
        case .granted(let names, _, _, .abandoned(let abandonment)):
            names.spellingByteCount + count(abandonment.command, abandonment.note)
        case .granted(let names, _, _, .unremarkable), .held(let names, _, _), .cancelled(let names, _),
            .deadlock(let names, _),
            .released(let names, _), .renewed(let names, _, _), .revoked(let names, _), .denied(let names, _, _):
            names.spellingByteCount
        case .queued(let names, _, let on, let holder, _):
            names.spellingByteCount + count(on) + count(holder?.peer) + count(holder?.note)
        case .busy(let names, let holder, _), .timedOut(let names, _, let holder, _):
            names.spellingByteCount + count(holder?.peer) + count(holder?.note)
        case .lost(let names, _, .revoked(_, _, let why)): names.spellingByteCount + count(why)
        case .lost(let names, _, .other(let reason)): names.spellingByteCount + count(reason)
        case .lost(let names, _, .expired), .lost(let names, _, .logDamaged): names.spellingByteCount
        case .lostEverything(.revoked(_, _, let why)): count(why)
        case .lostEverything(.other(let reason)): count(reason)
        case .lostEverything(.expired), .lostEverything(.logDamaged), .restored: 0
        case .watched(let event): textByteCount(of: event)
        case .notHeld(let name): count(name)
        case .watching(let prefix): count(prefix)
        case .lease(let line): count(line.name) + count(line.peer) + count(line.client, line.owner, line.note)
        case .waiter(let line): count(line.name) + count(line.peer) + count(line.client, line.owner, line.note)
        case .hold(let line): count(line.name) + count(line.peer) + count(line.note)
        case .edge(let line): count(line.name) + count(line.holder) + count(line.waiterOwner, line.holderOwner)
        case .error(let error):
            error.code.rawValue.utf8.count + count(error.key, error.got) + (error.want?.utf8.count ?? 0)
        case .welcome(let welcome):
            welcome.daemonVersion.utf8.count + welcome.features.reduce(0) { $0 + $1.utf8.count + 1 }
        case .statistic(let key, let value): key.utf8.count + value.utf8.count
        case .histogram(let line): count(line.name) + line.buckets.count * Reply.HistogramLine.bucketByteCount
        case .waitCancelled, .notWaiting, .end, .unwatched, .pong, .bye: 0
        }
    }

    private static func textByteCount(of event: WatchEvent) -> Int {
        switch event {
        case .queued(let names, let peer, _, let note), .granted(let names, let peer, _, _, let note),
            .over(let names, let peer, _, _, _, let note):
            names.spellingByteCount + count(peer) + count(note)
        case .unqueued(let names, let peer, _, _): names.spellingByteCount + count(peer)
        case .missed: 0
        }
    }

    private static func count(_ name: LockName?) -> Int { name?.spelling.utf8.count ?? 0 }

    private static func count(_ texts: Text?...) -> Int { texts.reduce(0) { $0 + ($1?.spelling.utf8.count ?? 0) } }

    private static func count(_ peer: Reply.Peer?) -> Int { count(peer?.command, peer?.unit) }
}
