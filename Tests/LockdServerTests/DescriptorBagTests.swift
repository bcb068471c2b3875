import CLinux
import Glibc
import LockdModel
import Logging
import Testing

@testable import LockdServer

/// Keeps copies of descriptors under names, as systemd does.
final class KeepingStore: DescriptorStore {
    private(set) var kept: [(name: String, descriptor: CInt)] = []
    /// Nothing is done before the test says so.
    var isSlow = false
    private var barrierEnds: [CInt] = []

    deinit { kept.forEach { close($0.descriptor) } }

    func store(_ descriptors: [CInt], as name: String) {
        kept += descriptors.map { (name, fcntl($0, F_DUPFD_CLOEXEC, 0)) }
    }

    func remove(_ name: String) {
        for item in kept where item.name == name { close(item.descriptor) }
        kept.removeAll { $0.name == name }
    }

    func barrier() -> CInt? {
        guard isSlow else { return nil }
        var ends: [CInt] = [-1, -1]
        guard CLibrary.pipe2(&ends, O_CLOEXEC) == 0 else { return nil }
        close(ends[1])
        return ends[0]
    }

    /// What the next daemon gets.
    func handOver() -> [(name: String, descriptor: CInt)] {
        kept.map { ($0.name, fcntl($0.descriptor, F_DUPFD_CLOEXEC, 0)) }
    }
}

@Suite struct DescriptorBagTests {
    private let store = KeepingStore()
    private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    private func item(_ number: UInt64, isBound: Bool = false) -> DescriptorBag.Item {
        .init(session: SessionID(number), isBound: isBound)
    }

    /// Which files are found, each copy closed again.
    private func found(_ bags: [(name: String, descriptor: CInt)]) -> [DescriptorBag.Item: FileIdentity] {
        DescriptorBag.contents(of: bags).mapValues { descriptor in
            defer { close(descriptor) }
            return FileIdentity(of: descriptor)
        }
    }

    private func bag(
        former: [(name: String, descriptor: CInt)] = [],
        _ contents: @escaping () -> [(item: DescriptorBag.Item, descriptor: CInt)] = { [] }
    ) -> DescriptorBag {
        let bag = DescriptorBag(store, former: former, logger: logger, contents: contents)
        bag.renew()
        return bag
    }

    @Test func whatIsPutIsFoundHoweverOftenOneLooks() throws {
        let (first, second) = (try Pipe(), try Pipe())
        let bag = bag()
        bag.put(first.readEnd, item(1))
        bag.put(second.readEnd, item(1, isBound: true))
        let expected = [
            item(1): FileIdentity(of: first.readEnd), item(1, isBound: true): FileIdentity(of: second.readEnd),
        ]
        #expect(found(store.kept) == expected)
        #expect(found(store.kept) == expected)
    }

    @Test func bagOutlivesWhoeverHasFilledIt() throws {
        let pipe = try Pipe()
        do { bag().put(pipe.readEnd, item(1)) }
        let identity = FileIdentity(of: pipe.readEnd)
        pipe.closeReadEnd()
        #expect(found(store.kept) == [item(1): identity])
        for name in Set(store.kept.map(\.name)) { store.remove(name) }
        #expect(pipe.losesItsReaders())
    }

    @Test func theLatestConnectionOfASessionCounts() throws {
        let (first, second) = (try Pipe(), try Pipe())
        let bag = bag()
        bag.put(first.readEnd, item(1))
        bag.put(second.readEnd, item(1))
        #expect(found(store.kept) == [item(1): FileIdentity(of: second.readEnd)])
    }

    @Test func fullBagIsRenewedWithWhatIsThereStill() throws {
        let (gone, there, last) = (try Pipe(), try Pipe(), try Pipe())
        let bag = bag { [(item(1_000_000), there.readEnd)] }
        let names = Set(store.kept.map(\.name))
        var number: UInt64 = 1
        while Set(store.kept.map(\.name)) == names, number < 100_000 {
            bag.put(gone.readEnd, item(number))
            number += 1
        }
        bag.put(last.readEnd, item(2_000_000))
        let items = found(store.kept)
        #expect(items[item(1)] == nil, "what is gone is kept no longer")
        #expect(items[item(number - 1)] == FileIdentity(of: gone.readEnd), "what was in the way of nothing is kept")
        #expect(items[item(1_000_000)] == FileIdentity(of: there.readEnd))
        #expect(items[item(2_000_000)] == FileIdentity(of: last.readEnd))
        #expect(Set(store.kept.map(\.name)).count == 1)
    }

    @Test func oldBagIsThereUntilTheStoreHasTheNewOne() throws {
        let pipe = try Pipe()
        let bag = bag { [(item(1), pipe.readEnd)] }
        store.isSlow = true
        bag.put(pipe.readEnd, item(2))
        #expect(bag.renew())
        // The daemon may end now: both are handed over.
        let names = Set(store.kept.map(\.name))
        #expect(names.count == 2)
        let identity = FileIdentity(of: pipe.readEnd)
        #expect(found(store.kept) == [item(1): identity, item(2): identity])
        // No third one before that is done.
        #expect(!bag.renew())
        bag.barrierHasPassed()
        #expect(found(store.kept) == [item(1): identity])
    }

    @Test func whatFoundNoRoomMeanwhileIsKeptOnceTheStoreHasTheNewBag() throws {
        let (other, last) = (try Pipe(), try Pipe())
        final class Contents {
            var items: [(item: DescriptorBag.Item, descriptor: CInt)] = []
        }
        let contents = Contents()
        let bag = bag { contents.items }
        store.isSlow = true
        #expect(bag.renew())
        for number in 2..<10_000 { bag.put(other.readEnd, item(UInt64(number))) }
        contents.items = [(item(1), last.readEnd)]
        bag.put(last.readEnd, item(1))
        #expect(found(store.kept)[item(1)] == nil)
        bag.barrierHasPassed()
        #expect(found(store.kept)[item(1)] == FileIdentity(of: last.readEnd))
    }

    @Test func nextDaemonGivesUpAllBagsOnceThereIsANewOne() throws {
        let pipe = try Pipe()
        store.isSlow = true
        do {
            let first = bag { [(item(1), pipe.readEnd)] }
            first.barrierHasPassed()
            first.renew()
        }
        let former = store.handOver()
        #expect(Set(former.map(\.name)).count == 2)
        let next = bag(former: former) { [(item(1), pipe.readEnd)] }
        #expect(Set(store.kept.map(\.name)).count == 3)
        next.barrierHasPassed()
        #expect(Set(store.kept.map(\.name)).count == 1)
        #expect(!Set(former.map(\.name)).contains(store.kept.first?.name ?? ""))
        #expect(found(store.kept) == [item(1): FileIdentity(of: pipe.readEnd)])
    }
}
