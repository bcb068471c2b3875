import Testing

@testable import LockdCore

@Suite struct SlotListTests {
    private struct Element: Linked {
        var links = Links()
        mutating func vacate() {}
    }

    private var slab = Slab<Element>()
    private var list = SlotList<Element>()

    private mutating func fill(_ count: Int) {
        for _ in 0..<count { list.append(slab.insert(Element()), in: &slab) }
    }

    @Test func emptyListHasNoFirst() {
        #expect(list.isEmpty)
        #expect(list.first == nil)
        #expect(list.count == 0)
        #expect(list.slots(in: slab) == [])
    }

    @Test mutating func elementsKeepTheOrderInWhichTheyCame() {
        fill(3)
        #expect(list.first == 0)
        #expect(list.count == 3)
        #expect(list.slots(in: slab) == [0, 1, 2])
    }

    @Test(arguments: 0..<5) mutating func elementsLeaveFromEveryPlaceAndComeBackLast(slot: Int) {
        fill(5)
        let others = (0..<5).filter { $0 != slot }
        list.remove(slot, in: &slab)
        #expect(list.slots(in: slab) == others)
        #expect(list.count == 4)
        list.append(slot, in: &slab)
        #expect(list.slots(in: slab) == others + [slot])
    }

    @Test mutating func lastToLeaveLeavesAnEmptyList() {
        fill(2)
        list.remove(1, in: &slab)
        list.remove(0, in: &slab)
        #expect(list.isEmpty)
        #expect(list.count == 0)
        list.append(1, in: &slab)
        #expect(list.slots(in: slab) == [1])
    }
}
