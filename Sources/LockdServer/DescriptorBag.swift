import CLinux
import CUnix
import Glibc
import LockdModel
import Logging

/// The connections, and what leases are bound to, in a place where they outlive the daemon.
///
/// A pair of sockets is kept by a ``DescriptorStore``, and copies of the descriptors are sent into it and never received: the kernel keeps them on their way for as
/// long as somebody keeps the pair. The next daemon looks at what is on its way, without taking it out. So to keep a connection costs one system call, and
/// the store, whose cost grows with the square of what it keeps, keeps two sockets.
///
/// What is on its way is never taken out; when the sockets are full, a new bag with what is there still takes the place of the old one, which is given up once the
/// store has the new one. What does not fit is not protected, and served all the same.
final class DescriptorBag {
    /// What a descriptor is of: the connection of the session with that number, or what the lease is bound to that is that session.
    struct Item: Hashable {
        let session: SessionID
        let isBound: Bool

        fileprivate var word: UInt64 { session.value << 1 | (isBound ? 1 : 0) }

        fileprivate init(word: UInt64) { self.init(session: SessionID(word >> 1), isBound: word & 1 != 0) }

        init(session: SessionID, isBound: Bool) {
            self.session = session
            self.isBound = isBound
        }
    }

    /// What the names of all bags begin with.
    static let namePrefix = "lockd.bag."

    private let store: any DescriptorStore
    private let logger: Logger
    /// What is to be kept at present.
    private let contents: () -> [(item: Item, descriptor: CInt)]
    private var ends: (into: CInt, out: CInt)?
    private var name = ""
    private var number: UInt64
    /// The names of those that are given up when the store has done what it was asked for.
    private var formerNames: [String] = []
    private var formerEnds: [CInt] = []
    private(set) var barrier: CInt?
    private var hasWarned = false
    /// Something found no room while there could not be another bag yet.
    private var isIncomplete = false

    /// An empty bag, which keeps nothing before ``renew()``.
    ///
    /// - Parameters:
    ///   - former: the bags of the daemon before; given up when there is a new one.
    ///   - contents: says what is to be kept at present.
    init(
        _ store: any DescriptorStore,
        former: [(name: String, descriptor: CInt)],
        logger: Logger,
        contents: @escaping () -> [(item: Item, descriptor: CInt)]
    ) {
        self.store = store
        self.logger = logger
        self.contents = contents
        formerNames = Array(Set(former.map(\.name)))
        formerEnds = former.map(\.descriptor)
        number = former.map { Self.number(of: $0.name) }.max() ?? 0
    }

    deinit {
        let all = formerEnds + [ends?.into, ends?.out, barrier].compactMap(\.self)
        for descriptor in all { close(descriptor) }
    }

    /// Keeps one more descriptor.
    func put(_ descriptor: CInt, _ item: Item) {
        guard let ends else { return }
        if Self.send([(item, descriptor)], into: ends.into) { return }
        // The next bag will have it.
        if errno == EAGAIN, barrier != nil {
            isIncomplete = true
            return
        }
        // What is in the way may be what has gone meanwhile.
        if errno == EAGAIN, renew(), let ends = self.ends, Self.send([(item, descriptor)], into: ends.into) { return }
        warn()
    }

    /// Makes a new bag with everything that is to be kept, in place of the present one; says whether that could be done.
    @discardableResult
    func renew() -> Bool {
        // Of the one before that the store is not rid of yet; three are more than it may have to keep.
        guard barrier == nil else { return false }
        var pair: [CInt] = [-1, -1]
        guard clinux_socket_pair(&pair) == 0 else { return false }
        let all = contents()
        for start in stride(from: 0, to: all.count, by: Int(CLINUX_DESCRIPTORS_MAXIMUM)) {
            let batch = all[start..<min(all.count, start + Int(CLINUX_DESCRIPTORS_MAXIMUM))]
            if Self.send(Array(batch), into: pair[0]) { continue }
            // Rather an old bag that keeps most than a new one that keeps some; at the beginning there is only the new one.
            warn()
            guard ends != nil else { break }
            pair.forEach { close($0) }
            return false
        }
        adopt(pair)
        return true
    }

    private func adopt(_ pair: [CInt]) {
        if let ends {
            formerNames.append(name)
            formerEnds += [ends.into, ends.out]
        }
        number += 1
        name = Self.namePrefix + String(number)
        ends = (pair[0], pair[1])
        store.store(pair, as: name)
        barrier = store.barrier()
        if barrier == nil { barrierHasPassed() }
    }

    /// The store has the present bag: gives up the former ones.
    func barrierHasPassed() {
        if let barrier { close(barrier) }
        barrier = nil
        for name in formerNames { store.remove(name) }
        for descriptor in formerEnds { close(descriptor) }
        (formerNames, formerEnds) = ([], [])
        if isIncomplete {
            isIncomplete = false
            renew()
        }
    }

    private func warn() {
        guard !hasWarned else { return }
        hasWarned = true
        logger.warning(
            "not all connections can be kept over a restart; those have to be made again",
            metadata: ["error": "\(String(cString: strerror(errno)))"]
        )
    }

    private static func send(_ batch: [(item: Item, descriptor: CInt)], into end: CInt) -> Bool {
        let words = batch.map(\.item.word)
        let descriptors = batch.map(\.descriptor)
        let byteCount = words.count * MemoryLayout<UInt64>.size
        return retryingOnInterrupt { cunix_send(end, words, byteCount, descriptors, descriptors.count, false) }
            == byteCount
    }

    private static func number(of name: String) -> UInt64 { UInt64(name.dropFirst(namePrefix.count)) ?? 0 }

    // MARK: Looking into the bags of the daemon before

    /// Copies of all descriptors that are in these bags, which stay as they were; the caller owns the copies.
    static func contents(of bags: [(name: String, descriptor: CInt)]) -> [Item: CInt] {
        var found: [Item: CInt] = [:]
        for bag in bags.sorted(by: { number(of: $0.name) < number(of: $1.name) })
        where clinux_begin_peeking(bag.descriptor) == 0 {
            while let batch = peek(bag.descriptor) {
                for (item, descriptor) in batch {
                    // The latest counts: a session may have gone on with another connection. And a daemon that ended while it changed from one bag to the
                    // next has left both.
                    if let former = found.updateValue(descriptor, forKey: item) { close(former) }
                }
            }
        }
        return found
    }

    private static func peek(_ bag: CInt) -> [(item: Item, descriptor: CInt)]? {
        let limit = Int(CLINUX_DESCRIPTORS_MAXIMUM)
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: limit) { words in
            withUnsafeTemporaryAllocation(of: CInt.self, capacity: limit) { descriptors in
                var descriptorCount = 0
                let size = MemoryLayout<UInt64>.size
                let count = retryingOnInterrupt {
                    clinux_peek_next(bag, words.baseAddress, limit * size, descriptors.baseAddress, &descriptorCount)
                }
                guard count > 0 else { return nil }
                let items = words[..<min(count / size, descriptorCount)].map { Item(word: $0) }
                for descriptor in descriptors[items.count..<max(items.count, descriptorCount)] { close(descriptor) }
                return Array(zip(items, descriptors))
            }
        }
    }
}
